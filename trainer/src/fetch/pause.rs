//! When a server wants to be asked again: `Retry-After`, as seconds or as a date
//! ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3)).

use super::http::text;
use std::time::{Duration, SystemTime};
use ureq::http::HeaderMap;

/// The pause that an answer asks for; none where it asks for none, or in words that are neither seconds nor a date. A date is
/// counted from the answer's own `Date`, since the clock here may be wrong, and one that has passed asks for no pause.
pub(super) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, "retry-after")?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than a number holds are an absurd pause, not none.
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    // Fractions are no HTTP, and some servers send them.
    if let Ok(seconds) = value.parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = text(headers, "date").and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    Some(until.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ureq::http::HeaderValue;

    #[test]
    fn seconds_and_dates_are_pauses_and_other_words_are_none() {
        let date = "Sun, 06 Nov 1994 08:49:07 GMT";
        let asked = |value: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", HeaderValue::from_str(value).unwrap());
            date.map(|date| headers.insert("date", HeaderValue::from_str(date).unwrap()));
            asked(&headers)
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (value, pause) in [
            ("0", seconds(0)),
            (" 120 ", seconds(120)),
            ("1.5", Some(Duration::from_millis(1500))),
            ("99999999999999999999999", Some(Duration::MAX)),
            // All three forms of a date (RFC 9110, section 5.6.7).
            ("Sun, 06 Nov 1994 08:49:37 GMT", seconds(30)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", seconds(30)),
            ("Sun Nov  6 08:49:37 1994", seconds(30)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", seconds(0)),
            ("Mon, 07 Nov 1994 08:49:07 GMT", seconds(86_400)),
            ("-1", None),
            ("1e300", None),
            ("NaN", None),
            ("", None),
            ("soon", None),
            ("Sun, 06 Nov 1994", None),
        ] {
            assert_eq!(asked(value, Some(date)), pause, "{value}");
        }
        // Without the server's own clock this one counts.
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        for clock in [None, Some("yesterday")] {
            let pause = asked(&soon, clock).unwrap();
            assert!((Duration::from_secs(80)..=Duration::from_secs(90)).contains(&pause), "{pause:?}");
        }
        assert_eq!(super::asked(&HeaderMap::new()), None);
    }
}
