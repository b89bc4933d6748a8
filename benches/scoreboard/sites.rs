//! A thousand call sites with a static key each, in turn: too many for a cache of a few lines.

use metrics::{Key, Level, Metadata};

use crate::measure::{batches, pin};
use crate::subject::{Setup, Subject};

/// What `counter!("literal").increment(1)` expands to; `counter!` itself takes `concat!` for a run-time name.
macro_rules! site {
    ($($digit:literal)*) => {{
        static KEY: Key = Key::from_static_name(concat!("site_", $($digit),*));
        static METADATA: Metadata<'static> =
            Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
        metrics::with_recorder(|recorder| recorder.register_counter(&KEY, &METADATA)).increment(1);
    }};
}

/// One site for each choice of a digit from each bracket.
macro_rules! product {
    ($($chosen:literal)*;) => { site!($($chosen)*) };
    ($($chosen:literal)*; [$($digit:literal)*] $($rest:tt)*) => {
        product!(@each $($digit)*; ($($chosen)*); ($($rest)*))
    };
    (@each $($digit:literal)*; $chosen:tt; $rest:tt) => {
        $( product!(@one $digit; $chosen; $rest); )*
    };
    (@one $digit:literal; ($($chosen:literal)*); ($($rest:tt)*)) => {
        product!($($chosen)* $digit; $($rest)*)
    };
}

/// Group `sites`.
pub fn sites(subject: Subject) {
    pin(0);
    let rig = subject.install(Setup::default());
    batches(&rig, "sites_1000", 100, 1_000, |_| every_site());
}

fn every_site() {
    product!(; [0 1 2 3 4 5 6 7 8 9] [0 1 2 3 4 5 6 7 8 9] [0 1 2 3 4 5 6 7 8 9]);
}
