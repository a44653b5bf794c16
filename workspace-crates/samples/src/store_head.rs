//! The latest scrapes of one target, not compressed.

/// Scrapes of one target, in time, row by row, so that appending is one copy.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Head {
    pub(crate) times_ms: Vec<i64>,
    pub(crate) values: Vec<f64>,
    /// What is in blocks: all scrapes up to here.
    pub(crate) sealed_until_ms: Option<i64>,
}

impl Head {
    /// How many values a row has; 0 when there are no rows.
    fn width(&self) -> usize {
        self.values.len().checked_div(self.times_ms.len()).unwrap_or(0)
    }

    /// The time of the target's last scrape, whether it is here or in a block.
    pub(crate) fn last_ms(&self) -> Option<i64> {
        self.times_ms.last().copied().or(self.sealed_until_ms)
    }

    /// The times of the first and the last row.
    pub(crate) fn extent_ms(&self) -> Option<(i64, i64)> {
        Some((*self.times_ms.first()?, *self.times_ms.last()?))
    }

    pub(crate) fn byte_length(&self) -> usize {
        (self.times_ms.capacity() + self.values.capacity()) * size_of::<f64>()
    }

    /// The row of exactly this time, if it is here.
    pub(crate) fn row_at(&self, t_ms: i64, width: usize) -> Option<&[f64]> {
        // Most duplicates are of the last row.
        let at = match self.times_ms.last() {
            Some(last) if *last == t_ms => self.times_ms.len() - 1,
            _ => self.times_ms.binary_search(&t_ms).ok()?,
        };
        self.values.get(at * width..(at + 1) * width)
    }

    /// Puts a row in its place; there must be none of that time.
    pub(crate) fn insert(&mut self, t_ms: i64, values: &[f64]) {
        if self.times_ms.last().is_none_or(|last| *last < t_ms) {
            self.times_ms.push(t_ms);
            self.values.extend_from_slice(values);
            return;
        }
        let at = self.times_ms.partition_point(|time| *time < t_ms);
        self.times_ms.insert(at, t_ms);
        let start = at * values.len();
        self.values.splice(start..start, values.iter().copied());
    }

    /// All rows in time.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (i64, &[f64])> {
        let width = self.width();
        let row = move |at: usize| &self.values[at * width..(at + 1) * width];
        self.times_ms.iter().enumerate().map(move |(at, time)| (*time, row(at)))
    }

    /// The columns of some rows, one after another.
    pub(crate) fn columns(&self, rows: std::ops::Range<usize>) -> Vec<f64> {
        let width = self.width();
        let count = rows.len();
        let mut columns = vec![0.0; count * width];
        let rows = &self.values[rows.start * width..rows.end * width];
        // Tiles, so that what is written stays near.
        for (tile, rows) in rows.chunks(TILE * width.max(1)).enumerate() {
            for column in 0..width {
                let start = column * count + tile * TILE;
                let values = rows.iter().skip(column).step_by(width);
                columns[start..].iter_mut().zip(values).for_each(|(to, from)| *to = *from);
            }
        }
        columns
    }

    /// Appends one column.
    pub(crate) fn append_column(&self, column: usize, out: &mut Vec<f64>) {
        let width = self.width();
        if width > 0 {
            out.extend(self.values.iter().skip(column).step_by(width));
        }
    }

    /// Drops the first rows, which are in a block now.
    pub(crate) fn drop_rows(&mut self, count: usize) {
        let Some(last) = count.checked_sub(1) else { return };
        let width = self.width();
        self.sealed_until_ms = Some(self.times_ms[last]);
        self.times_ms.drain(..count);
        self.values.drain(..count * width);
    }
}

const TILE: usize = 64;

#[cfg(test)]
mod tests {
    use super::Head;

    #[test]
    fn columns_are_the_rows_turned() {
        let mut head = Head::default();
        for n in 0..200 {
            head.insert(n, &[n as f64, -(n as f64), 0.5]);
        }
        let columns = head.columns(10..160);
        let expected = |sign: f64| (10..160).map(move |n| sign * f64::from(n));
        let all: Vec<f64> =
            expected(1.0).chain(expected(-1.0)).chain(std::iter::repeat_n(0.5, 150)).collect();
        assert_eq!(columns, all);
    }

    #[test]
    fn rows_go_to_their_place() {
        let mut head = Head::default();
        for t in [5, 9, 7, 1] {
            head.insert(t, &[t as f64, 0.0]);
        }
        let rows: Vec<_> = head.rows().map(|(t, v)| (t, v.to_vec())).collect();
        let expected: Vec<_> = [1, 5, 7, 9].map(|t| (t, vec![t as f64, 0.0])).into();
        assert_eq!(rows, expected);
        assert_eq!(head.row_at(7, 2), Some(&[7.0, 0.0][..]));
        head.drop_rows(3);
        assert_eq!((head.times_ms, head.sealed_until_ms), (vec![9], Some(7)));
    }
}
