//! What is counted in memory is put together with the other instances, what was refused is written, and what tokens are limited
//! to is read: once a second.

use crate::{
    app::App,
    store::{Result, Store},
};

/// Tells what this instance has counted, learns what all have, and keeps what was refused.
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
