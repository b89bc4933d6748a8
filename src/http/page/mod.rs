//! What a person sees at `/`: the last minutes as text for a terminal, or as a page for a browser.

mod html;
mod overview;
mod rows;
mod text;

use crate::handle::Recall;
use std::time::Duration;

/// Both are made from one look at the store.
pub(super) fn text(recall: &Recall, window: Duration) -> String {
    text::write(&overview::Overview::new(recall, window, text::COLUMNS))
}

pub(super) fn html(recall: &Recall, window: Duration) -> String {
    html::write(&overview::Overview::new(recall, window, html::POINTS))
}

pub(super) use self::html::POLICY;
