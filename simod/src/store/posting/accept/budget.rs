//! Budgets of requests: how many deliveries the items of one request may make together.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Deliveries charged to the budgets of requests; given back unless kept, because the batch may be retried.
#[derive(Default)]
pub(super) struct Charges(Vec<(Arc<AtomicU64>, u64)>);

impl Charges {
    /// Takes this many deliveries from a budget; `false` when fewer are left.
    pub(super) fn take(&mut self, budget: &Arc<AtomicU64>, deliveries: u64) -> bool {
        let taken = budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(deliveries))
            .is_ok();
        if taken {
            self.0.push((budget.clone(), deliveries));
        }
        taken
    }

    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Charges {
    fn drop(&mut self) {
        for (budget, deliveries) in &self.0 {
            budget.fetch_add(*deliveries, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_charged_once_however_often_its_batch_is_tried() {
        let budget = Arc::new(AtomicU64::new(10));
        for _ in 0..3 {
            let mut tried_in_vain = Charges::default();
            assert!(tried_in_vain.take(&budget, 7));
            assert!(!tried_in_vain.take(&budget, 4));
        }
        let mut charges = Charges::default();
        assert!(charges.take(&budget, 7) && charges.take(&budget, 2));
        charges.keep();
        assert_eq!(budget.load(Ordering::Relaxed), 1);
    }
}
