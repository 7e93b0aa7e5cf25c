//! Looks at the outputs that the program has left, as Flyte's copilot will.

use core::ffi::CStr;

use crate::message::Message;
use crate::options::Options;
use crate::output_type::{LONGEST, OutputType, TRIMMED};
use crate::path::Path;
use crate::syscall::{self, Errno, FileKind, Mode};

/// The exit code for outputs that are missing or wrong.
const WRONG: i32 = 65;

/// The file by which a program reports an error although it ended with 0; copilot takes it instead of outputs.
const ERROR: &[u8] = b"_ERROR";

/// The exit code of a program that has ended with 0.
pub fn check(options: &Options) -> i32 {
    let Some(directory) = options.directory else {
        return 0;
    };
    let directory = directory.to_bytes();
    if Path::of(&[directory, b"/", ERROR]).is_some_and(|path| syscall::stat(path.text()).is_ok()) {
        return 0;
    }
    let mut code = 0;
    for (name, ty) in options.outputs() {
        if !(Output {
            directory,
            name: name.as_bytes(),
            ty,
        })
        .check()
        {
            code = WRONG;
        }
    }
    if options
        .empty_output
        .is_some_and(|name| !leave_empty(directory, name))
    {
        code = WRONG;
    }
    code
}

/// Leaves an empty file for an output, unless there is one.
fn leave_empty(directory: &[u8], name: &CStr) -> bool {
    let (Some(parent), Some(path)) = (
        Path::of(&[directory]),
        Path::of(&[directory, b"/", name.to_bytes()]),
    ) else {
        Message::error()
            .quoted(directory)
            .text(" is too long")
            .send();
        return false;
    };
    let created = match syscall::open(path.text(), Mode::Create) {
        Err(Errno::NOENT) => syscall::make_directory(parent.text())
            .and_then(|()| syscall::open(path.text(), Mode::Create)),
        other => other,
    };
    match created {
        Ok(descriptor) => {
            syscall::close(descriptor);
            true
        }
        Err(errno) => {
            Message::error()
                .text("could not create ")
                .quoted(path.text().to_bytes())
                .text(": ")
                .text(errno.text())
                .send();
            false
        }
    }
}

struct Output<'a> {
    directory: &'a [u8],
    name: &'a [u8],
    ty: OutputType,
}

impl Output<'_> {
    /// Whether it is there and of its type; otherwise a message has been written.
    fn check(&self) -> bool {
        let mut entry = [0; 256];
        let Some(file) = self.find(&mut entry) else {
            return false;
        };
        let Some(path) = Path::of(&[self.directory, b"/", file]) else {
            Message::error()
                .text("the path of the output ")
                .quoted(self.name)
                .text(" is too long")
                .send();
            return false;
        };
        let path = path.text();
        let (kind, size) = match syscall::stat(path) {
            Ok(found) => found,
            Err(errno) => {
                Message::error()
                    .quoted(path.to_bytes())
                    .text(" cannot be read: ")
                    .text(errno.text())
                    .send();
                return false;
            }
        };
        let what = match (kind, self.ty) {
            (FileKind::Directory, OutputType::Directory) => return true,
            (FileKind::File, OutputType::File) => return true,
            (FileKind::File, OutputType::Directory) => "a file",
            (FileKind::File, _) => return self.check_value(path, size),
            (FileKind::Directory, _) => "a directory",
            (FileKind::Pipe, _) => "a named pipe",
            (FileKind::Socket, _) => "a socket",
            (FileKind::Device, _) => "a device",
        };
        let message = Message::error()
            .quoted(path.to_bytes())
            .text(" is ")
            .text(what)
            .text("; expected ");
        message.text(self.ty.expected()).send();
        false
    }

    fn check_value(&self, path: &CStr, size: u64) -> bool {
        let mut buffer = [0; LONGEST as usize + 1];
        let length = match read(path, &mut buffer) {
            Ok(length) => length,
            Err(errno) => {
                Message::error()
                    .quoted(path.to_bytes())
                    .text(" cannot be read: ")
                    .text(errno.text())
                    .send();
                return false;
            }
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        let message = Message::error()
            .text("the output ")
            .quoted(self.name)
            .text(" in ")
            .quoted(path.to_bytes());
        if bytes.len() as u64 > LONGEST {
            let message = message
                .text(" has ")
                .number(size.max(bytes.len() as u64))
                .text(" bytes; copilot takes at most ");
            message
                .number(LONGEST)
                .text(" of what is not a file")
                .send();
            return false;
        }
        let Ok(text) = core::str::from_utf8(bytes) else {
            message.text(" is not UTF-8").send();
            return false;
        };
        let text = text.trim_matches(TRIMMED);
        if self.ty.accepts(text) {
            return true;
        }
        let message = if text.is_empty() {
            message.text(" is empty")
        } else {
            shown(message.text(" is "), text)
        };
        message.text("; expected ").text(self.ty.expected()).send();
        false
    }

    /// The entry of the directory: the one with its name, or the only one with its name and an ending.
    fn find<'b>(&self, entry: &'b mut [u8; 256]) -> Option<&'b [u8]> {
        let mut found = 0;
        let mut length = 0;
        let is_listed = list(self.directory, |name| {
            if name == self.name {
                // As good as the only one.
                found = -1;
            }
            let has_ending = name
                .strip_prefix(self.name)
                .is_some_and(|rest| rest.first() == Some(&b'.'));
            if let (true, Some(place)) = (has_ending && found >= 0, entry.get_mut(..name.len())) {
                place.copy_from_slice(name);
                length = name.len();
                found += 1;
            }
        });
        match found {
            -1 => {
                let place = entry.get_mut(..self.name.len())?;
                place.copy_from_slice(self.name);
                Some(place)
            }
            1 => entry.get(..length),
            0 => {
                let message = Message::error()
                    .text("the output ")
                    .quoted(self.name)
                    .text(" is missing: the program should leave ");
                let message = message
                    .text(self.ty.expected())
                    .text(" at ")
                    .quoted_path(self.directory, self.name);
                match is_listed {
                    Ok(()) => message.send(),
                    Err(errno) => message
                        .text("; the directory cannot be read: ")
                        .text(errno.text())
                        .send(),
                }
                None
            }
            _ => {
                let message = Message::error()
                    .text("the output ")
                    .quoted(self.name)
                    .text(" could be each of several files in ");
                message
                    .quoted(self.directory)
                    .text(": leave one of them")
                    .send();
                None
            }
        }
    }
}

impl Message {
    fn quoted_path(self, directory: &[u8], name: &[u8]) -> Self {
        match Path::of(&[directory, b"/", name]) {
            Some(path) => self.quoted(path.text().to_bytes()),
            None => self.quoted(name),
        }
    }
}

/// A text of at most 60 characters as it is; of a longer one its beginning.
fn shown(message: Message, text: &str) -> Message {
    match text.char_indices().nth(60) {
        None => message.quoted(text.as_bytes()),
        Some((end, _)) => message
            .quoted(text.get(..end).unwrap_or_default().as_bytes())
            .text(" and so on"),
    }
}

fn read(path: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    let descriptor = syscall::open(path, Mode::Read)?;
    let mut length = 0;
    let result = loop {
        let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) else {
            break Ok(length);
        };
        match syscall::read(descriptor, rest) {
            Ok(0) => break Ok(length),
            Ok(count) => length += count,
            Err(errno) => break Err(errno),
        }
    };
    syscall::close(descriptor);
    result
}

/// Calls `each` with the name of each entry of a directory.
fn list(directory: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Errno> {
    let path = Path::of(&[directory]).ok_or(Errno::NOENT)?;
    let descriptor = syscall::open(path.text(), Mode::Directory)?;
    let mut buffer = [0; 4096];
    let result = loop {
        match syscall::entries(descriptor, &mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => names(buffer.get(..count).unwrap_or_default(), &mut each),
            Err(errno) => break Err(errno),
        }
    };
    syscall::close(descriptor);
    result
}

/// `struct linux_dirent64`: inode and offset (8 bytes each), length (2), kind (1), the name with a zero.
fn names(mut entries: &[u8], each: &mut impl FnMut(&[u8])) {
    while let (Some([low, high]), Some(name)) = (entries.get(16..18), entries.get(19..)) {
        let length = usize::from(u16::from_ne_bytes([*low, *high]));
        let end = name
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(name.len());
        each(name.get(..end).unwrap_or_default());
        match entries.get(length..) {
            Some(rest) if length > 0 => entries = rest,
            _ => return,
        }
    }
}
