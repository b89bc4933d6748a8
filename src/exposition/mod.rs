//! Forms in which metrics leave the process. Encoders only encode: which series there are and what they are at comes from
//! the traversal, in the nouns of `model::family`.

mod family;
pub(crate) mod json;
mod names;
mod number;
#[cfg(feature = "protobuf")]
mod protobuf;
mod text;

pub use self::family::Format;
pub(crate) use self::{
    family::{Encode, Globals},
    names::{Style, families},
};

#[cfg(feature = "http")]
pub(crate) use self::json::string as json_string;

/// The encoder of a format. `has_created`: whether OpenMetrics has lines that say since when series count.
pub(crate) fn encoder(format: Format, has_created: bool, globals: Globals) -> Box<dyn Encode> {
    let text = |dialect, globals| Box::new(text::Text::new(dialect, has_created, globals));
    match format {
        Format::Text => text(text::Dialect::Classic, globals),
        Format::TextUtf8 => text(text::Dialect::Utf8, globals),
        Format::OpenMetrics => text(text::Dialect::OpenMetrics, globals),
        Format::Json => Box::new(json::Json::new(globals)),
        #[cfg(feature = "protobuf")]
        Format::Protobuf => Box::new(protobuf::Protobuf::new(globals)),
    }
}

#[cfg(fuzzing)]
pub(crate) use self::names::{label_name, metric_name};
