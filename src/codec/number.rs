//! Numbers in binary tables: unsigned LEB128, at most 64 bits, in their shortest form, so that one
//! number has one spelling.

/// Appends a number.
pub fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Why a table cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odd(pub &'static str);

/// Reads numbers and bytes off the front of a table, never past its end.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Stands at the front of `table`.
    pub fn new(table: &'a [u8]) -> Self {
        Self { rest: table }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Odd> {
        let (now, rest) = self.rest.split_at_checked(length).ok_or(Odd("it ends early"))?;
        self.rest = rest;
        Ok(now)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Odd> {
        self.take(1).map(|byte| byte[0])
    }

    /// The next number.
    pub fn number(&mut self) -> Result<u64, Odd> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return Err(Odd("a number is too large"));
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Odd("a number has more digits than it needs"));
                }
                return Ok(number);
            }
        }
        Err(Odd("a number is too large"))
    }

    /// A count of things that take at least `least` bytes each: never more than there is room for.
    pub fn count(&mut self, least: usize) -> Result<usize, Odd> {
        let count = self.number()?;
        if count > (self.rest.len() / least) as u64 {
            return Err(Odd("it counts more than it holds"));
        }
        Ok(count as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling_and_64_bits() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(Cursor::new(&bytes).number(), Ok(number));
            let cut = Cursor::new(&bytes[..bytes.len() - 1]).number();
            assert_eq!(cut, Err(Odd("it ends early")));
        }
        let longer = Err(Odd("a number has more digits than it needs"));
        assert_eq!(Cursor::new(&[0x81, 0]).number(), longer);
        // One bit more than 64; a digit more than any number has.
        let mut large = [0xff; 11];
        large[9] = 2;
        assert_eq!(Cursor::new(&large).number(), Err(Odd("a number is too large")));
        large[9] = 0x81;
        assert_eq!(Cursor::new(&large).number(), Err(Odd("a number is too large")));
    }

    #[test]
    fn nothing_is_counted_that_has_no_room() {
        assert_eq!(Cursor::new(&[2, 0, 0, 0, 0]).count(2), Ok(2));
        assert_eq!(Cursor::new(&[2, 0, 0, 0]).count(2), Err(Odd("it counts more than it holds")));
    }
}
