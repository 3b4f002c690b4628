//! An answer over HTTP as a file of the corpus has it: status, headers, an empty line, body.

/// One answer.
pub(crate) struct Message<'a> {
    pub(crate) status: u16,
    headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads any bytes: what has no such head is a body of status 400.
    pub(crate) fn read(data: &'a [u8]) -> Self {
        let head_end = data.windows(2).position(|pair| pair == b"\n\n");
        let head = head_end.and_then(|end| std::str::from_utf8(&data[..end]).ok());
        let mut lines = head.unwrap_or_default().lines();
        let Some(status) = lines.next().and_then(|line| line.parse().ok()) else {
            return Self { status: 400, headers: Vec::new(), body: data };
        };
        let body = head_end.map_or(&[][..], |end| &data[end + 2..]);
        Self { status, headers: lines.filter_map(|line| line.split_once(": ")).collect(), body }
    }

    pub(crate) fn header(&self, wanted: &str) -> Option<&'a str> {
        self.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
    }
}
