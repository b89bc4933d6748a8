//! Any `Accept` and any `Accept-Encoding` has an answer; what is asked for in so many words is given, and spaces and letters'
//! case change nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics_recall::{Format, fuzzing};

fuzz_target!(|text: &str| {
    let format = fuzzing::accepted_format(text);
    let _ = fuzzing::accepts_gzip(text);
    // A list that begins with the greatest weight and the most precise range begins with its winner.
    let first = format!("application/openmetrics-text;version=1.0.0;q=1,{text}");
    assert_eq!(fuzzing::accepted_format(&first), Format::OpenMetrics);
    assert!(
        fuzzing::accepts_gzip(&format!("gzip,{text}"))
            || text.to_ascii_lowercase().contains("identity")
    );
    if text.is_ascii() && !text.contains('"') {
        let spaced = text
            .replace(',', " , ")
            .replace(';', " ; ")
            .replace('=', " = ");
        assert_eq!(fuzzing::accepted_format(&spaced), format, "{text:?}");
    }
});
