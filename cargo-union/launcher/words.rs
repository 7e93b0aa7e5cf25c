//! The arguments and the environment, which the kernel puts on the stack.

use core::ffi::CStr;

/// The arguments or the environment: addresses of texts, then a null.
#[derive(Clone, Copy)]
pub struct Words {
    first: *mut *const u8,
    count: usize,
}

impl Words {
    /// The arguments and the environment of this process.
    ///
    /// # Safety
    /// `stack` must be the stack pointer with which the kernel started it, and this must be called only once.
    pub unsafe fn of_process(stack: *mut usize) -> (Self, Self) {
        let count = *stack;
        let arguments = Self {
            first: stack.add(1).cast(),
            count,
        };
        let first: *mut *const u8 = stack.add(count).add(2).cast();
        let mut count = 0;
        while !(*first.add(count)).is_null() {
            count += 1;
        }
        (arguments, Self { first, count })
    }

    /// The word at a position.
    pub fn get(&self, position: usize) -> Option<&'static CStr> {
        // SAFETY: below the count, the kernel has put the address of a text that ends with a zero. It lives as long as the process.
        (position < self.count)
            .then(|| unsafe { CStr::from_ptr((*self.first.add(position)).cast()) })
    }

    /// Replaces the word at a position, if there is one.
    pub fn set(&mut self, position: usize, word: &'static CStr) {
        if position < self.count {
            // SAFETY: the position is below the count, and the kernel gives the stack to the process.
            unsafe { *self.first.add(position) = word.as_ptr().cast() };
        }
    }

    /// The words from a position on, as `execve` expects them.
    pub fn from(&self, position: usize) -> *const *const u8 {
        // SAFETY: the address of the null after the last word at most.
        unsafe { self.first.add(position.min(self.count)) }
    }

    /// All words.
    pub fn iter(&self) -> impl Iterator<Item = &'static CStr> + '_ {
        (0..self.count).filter_map(move |position| self.get(position))
    }

    /// The value of a variable, when these words are an environment.
    pub fn variable(&self, name: &[u8]) -> Option<&'static [u8]> {
        self.iter()
            .find_map(|word| word.to_bytes().strip_prefix(name)?.strip_prefix(b"="))
    }
}
