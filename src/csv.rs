//! Rows of comma-separated values (RFC 4180).

/// Adds a row of these fields, in quotes where they have to be, to `text`, with its end of line.
pub fn push_row(text: &mut String, fields: impl IntoIterator<Item = impl AsRef<[u8]>>) {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(fields).expect("one row, into memory");
    let row = writer.into_inner().expect("into memory");
    text.push_str(&String::from_utf8_lossy(&row));
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
