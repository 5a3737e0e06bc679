//! Once a second: combines the counts in memory with other instances', writes refused attempts, and reads tokens' limits.

use crate::{
    app::App,
    store::{Result, Store},
};

/// Submits this instance's counts, reads the totals, and writes refused attempts.
pub(super) async fn step(app: &App) -> Result<()> {
    let store: &Store = &app.store;
    app.learn_limits().await?;
    let told = app.guard.counted(store.is_shared(), app.clock().now());
    if !told.is_empty() {
        let all = store.share_counts(&told).await?;
        app.guard.learn(&told, &all);
    }
    let refused = app.guard.take_refused();
    if !refused.is_empty() {
        store.keep_refused(&refused).await?;
    }
    app.write_refused_posts().await
}
