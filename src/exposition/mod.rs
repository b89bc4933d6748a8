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

/// The encoder of a format.
pub(crate) fn encoder(format: Format, globals: Globals) -> Box<dyn Encode> {
    match format {
        Format::Text => Box::new(text::Text::new(text::Dialect::Classic, globals)),
        Format::TextUtf8 => Box::new(text::Text::new(text::Dialect::Utf8, globals)),
        Format::OpenMetrics => Box::new(text::Text::new(text::Dialect::OpenMetrics, globals)),
        Format::Json => Box::new(json::Json::new(globals)),
        #[cfg(feature = "protobuf")]
        Format::Protobuf => Box::new(protobuf::Protobuf::new(globals)),
    }
}

#[cfg(fuzzing)]
pub(crate) use self::names::{label_name, metric_name};
