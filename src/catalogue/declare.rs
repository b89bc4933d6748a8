//! The macro that declares metrics, and what it expands to.

use super::{Catalogue, Declared, MetricUnit};
use metrics::{Label, SharedString};
use std::sync::Arc;

/// Declares the metrics of a program, or of a part of it, as a type: a method for each, and all of them as a [`Catalogue`].
///
/// The comment above a metric is its description. Its unit is one of [`metrics::Unit`], or one of your own in quotes. A name that is no
/// identifier stands behind `=`. Names and units are checked while the program compiles.
///
/// A value of the type is a context: `with` adds a label to all that is recorded through it.
///
/// ```
/// use metrics_recall::Recall;
///
/// metrics_recall::catalogue! {
///     /// What the shop counts.
///     pub Shop {
///         /// Orders that were paid.
///         counter orders_total: Count,
///         /// What an order was worth.
///         histogram order_value: "eur",
///         /// Baskets that are neither paid nor given up.
///         gauge open_baskets = "shop.open_baskets": Count,
///     }
/// }
///
/// let (recorder, recall) = Recall::builder().build()?;
/// recorder.scope(|| {
///     Shop::register(); // once, after the recorder is installed
///     let shop = Shop::new().with("region", "eu");
///     shop.orders_total().increment(1);
///     shop.order_value().record(25.0);
///     shop.open_baskets().set(3.0);
/// });
/// assert_eq!(recall.counters("orders_total").label("region", "eu").total(), Some(1));
/// assert_eq!(recall.metric("order_value").unwrap().description.as_deref(), Some("What an order was worth, in eur"));
/// println!("{}", Shop::catalogue());
/// # Ok::<(), metrics_recall::Error>(())
/// ```
///
/// No handle is kept: a method looks its metric up each time, as the facade's macros do. Without labels that allocates nothing.
#[macro_export]
macro_rules! catalogue {
    (
        $(#[$about:meta])*
        $visibility:vis $name:ident {
            $( $(#[doc = $doc:literal])+ $kind:ident $metric:ident $(= $text:literal)? : $unit:tt ),+ $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        $visibility struct $name {
            labels: ::std::vec::Vec<$crate::metrics::Label>,
        }

        impl $name {
            /// Without a label.
            #[must_use]
            $visibility fn new() -> Self {
                Self::default()
            }

            /// The same with one more label; of two values for a label, the later one counts.
            #[must_use]
            $visibility fn with(&self, name: &str, value: impl ::std::string::ToString) -> Self {
                Self { labels: $crate::__catalogue::labelled(&self.labels, name, &value.to_string()) }
            }

            /// All metrics with their kind, unit and description.
            #[must_use]
            $visibility fn catalogue() -> $crate::__catalogue::Catalogue {
                let all = $crate::__catalogue::Catalogue::new();
                $( let all = $crate::__catalogue::declared(
                    all,
                    ::core::stringify!($kind),
                    $crate::__catalogue_name!($metric $($text)?),
                    $crate::__catalogue_unit!($unit),
                    ::core::concat!($($doc, "\n"),+),
                ); )+
                all
            }

            /// Tells the recorder that is in place all units and descriptions.
            $visibility fn register() {
                Self::catalogue().register();
            }

            $(
                $(#[doc = $doc])+
                $visibility fn $metric(&self) -> $crate::__catalogue_kind!(type $kind) {
                    const NAME: &str = $crate::__catalogue_name!($metric $($text)?);
                    const _: () = if !$crate::__catalogue::is_name(NAME) {
                        ::core::panic!("{}", ::core::concat!(
                            "`", $crate::__catalogue_name!($metric $($text)?), "` is no name for a metric: letters, digits, `_`, `:` and ",
                            "`.` make one, and neither a digit nor `recall_` comes first"
                        ));
                    };
                    static KEY: $crate::metrics::Key = $crate::metrics::Key::from_static_name(NAME);
                    static METADATA: $crate::metrics::Metadata<'static> = $crate::metrics::Metadata::new(
                        ::core::module_path!(),
                        $crate::metrics::Level::INFO,
                        ::core::option::Option::Some(::core::module_path!()),
                    );
                    if self.labels.is_empty() {
                        return $crate::metrics::with_recorder(|recorder| {
                            $crate::__catalogue_kind!(register $kind recorder &KEY, &METADATA)
                        });
                    }
                    let key = $crate::metrics::Key::from_parts(NAME, self.labels.clone());
                    $crate::metrics::with_recorder(|recorder| $crate::__catalogue_kind!(register $kind recorder &key, &METADATA))
                }
            )+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __catalogue_kind {
    (type counter) => {
        $crate::metrics::Counter
    };
    (type gauge) => {
        $crate::metrics::Gauge
    };
    (type histogram) => {
        $crate::metrics::Histogram
    };
    (type $other:ident) => {
        ::core::compile_error!(::core::concat!(
            "`",
            ::core::stringify!($other),
            "` is no kind of metric: there are `counter`, `gauge` and `histogram`"
        ))
    };
    (register counter $recorder:ident $key:expr, $metadata:expr) => {
        $recorder.register_counter($key, $metadata)
    };
    (register gauge $recorder:ident $key:expr, $metadata:expr) => {
        $recorder.register_gauge($key, $metadata)
    };
    (register histogram $recorder:ident $key:expr, $metadata:expr) => {
        $recorder.register_histogram($key, $metadata)
    };
    (register $other:ident $recorder:ident $key:expr, $metadata:expr) => {
        ::core::unreachable!()
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __catalogue_name {
    ($metric:ident) => {
        ::core::stringify!($metric)
    };
    ($metric:ident $text:literal) => {
        $text
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __catalogue_unit {
    ($unit:ident) => {
        $crate::__catalogue::MetricUnit::Known($crate::metrics::Unit::$unit)
    };
    ($unit:literal) => {
        $crate::__catalogue::MetricUnit::Own(::std::string::String::from($unit))
    };
}

/// `all` and a metric, whose name was checked when the program was compiled. Lines of the comment become one.
#[must_use]
pub fn declared(
    mut all: Catalogue,
    kind: &'static str,
    name: &str,
    unit: MetricUnit,
    comment: &str,
) -> Catalogue {
    let words: Vec<&str> = comment.split_whitespace().collect();
    let description = words.join(" ");
    all.0.push(Declared {
        name: name.to_owned(),
        kind,
        unit,
        description: description.trim_end_matches('.').to_owned(),
    });
    all
}

/// `labels` and one more; clones of a label share their text.
#[must_use]
pub fn labelled(labels: &[Label], name: &str, value: &str) -> Vec<Label> {
    let shared = |text: &str| SharedString::from(Arc::<str>::from(text));
    let others = labels.iter().filter(|label| label.key() != name);
    let others = others.cloned();
    others
        .chain([Label::new(shared(name), shared(value))])
        .collect()
}
