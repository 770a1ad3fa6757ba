//! Rows of comma-separated values (RFC 4180).

use std::borrow::Cow;

/// A field as it stands in a row: in quotes where it has to be.
pub fn field(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

/// Adds a row of these fields to `text`, with its end of line.
pub fn push_row<'a>(text: &mut String, fields: impl IntoIterator<Item = &'a str>) {
    for (n, of_row) in fields.into_iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push_str(&field(of_row));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        let mut text = String::new();
        push_row(&mut text, ["plain", "a,b", "say \"so\"", "two\nlines", ""]);
        assert_eq!(text, "plain,\"a,b\",\"say \"\"so\"\"\",\"two\nlines\",\n");
    }
}
