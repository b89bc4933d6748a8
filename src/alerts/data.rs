//! Rules, conditions and events as data of a program's own configuration, and for machines to read.
//!
//! A condition is its text, durations are texts as conditions have them (`"5m"`), labels and annotations are maps, and
//! what a rule does not say has its default.

use super::{condition::Condition, event::AlertEvent};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser::SerializeStruct};

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Everything that an event says.
impl Serialize for AlertEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("AlertEvent", 13)?;
        event.serialize_field("rule", self.rule())?;
        event.serialize_field("state", &self.state())?;
        event.serialize_field("from", &self.from())?;
        event.serialize_field("is_reset", &self.is_reset())?;
        event.serialize_field("severity", &self.severity())?;
        event.serialize_field("labels", self.labels())?;
        event.serialize_field("value", &self.value())?;
        event.serialize_field("threshold", &self.threshold())?;
        event.serialize_field("at", &self.at())?;
        event.serialize_field("since", &self.since())?;
        event.serialize_field("fired_at", &self.fired_at())?;
        let annotations: std::collections::BTreeMap<&str, &str> = self.annotations().collect();
        event.serialize_field("annotations", &annotations)?;
        event.serialize_field("fingerprint", &self.fingerprint())?;
        event.end()
    }
}

/// Durations as text.
pub(super) mod duration {
    use super::super::text::{Span, read_duration};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if duration.is_zero() {
            return serializer.serialize_str("0s");
        }
        serializer.collect_str(&Span(*duration))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "0s" {
            return Ok(Duration::ZERO);
        }
        read_duration(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "duration {text:?}: allowed are 0s, 500ms, 30s, 5m, 1h30m, 2d and the like"
            ))
        })
    }
}

/// Names and texts as a map, in their order.
pub(super) mod pairs {
    use serde::{
        Deserializer, Serializer,
        de::{MapAccess, Visitor},
    };
    use std::fmt;

    pub(in super::super) fn serialize<S: Serializer>(
        pairs: &[(String, String)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, text)| (name, text)))
    }

    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map from names to texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some(pair) = map.next_entry()? {
                pairs.push(pair);
            }
            Ok(pairs)
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, String)>, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}
