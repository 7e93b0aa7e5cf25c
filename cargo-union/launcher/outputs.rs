//! The check of the outputs, after the program has exited with 0. It accepts what copilot accepts, and its messages are those of
//! local runs (`cargo-union/src/copilot/outputs.rs`).

use core::ffi::CStr;

use crate::arguments::{Options, Output};
use crate::directory::{self, Name};
use crate::message::Line;
use crate::nearest;
use crate::output_type::{MAX_BYTES, OutputType, trim};
use crate::path::{Path, TooLong};
use crate::system::{self, Errno, Kind};
use crate::words::Words;

/// An output is wrong; the reason was written to stderr.
pub struct Wrong;

/// The file in which a program reports an error although it exits with 0.
const ERROR: &[u8] = b"_ERROR";

/// Checks all outputs, and creates the empty one.
pub fn check(options: &Options, words: &Words) -> Result<(), Wrong> {
    let Some(shown) = options.output_directory else {
        return Ok(());
    };
    let Ok(mut directory) = Path::of_directory(shown.to_bytes()) else {
        return Err(cannot_be_read(shown.to_bytes(), Errno::NAMETOOLONG));
    };
    if has_error(&mut directory) {
        // Copilot reads the error from this file.
        return Ok(());
    }
    let mut result = Ok(());
    for output in options.outputs(words) {
        if check_output(&mut directory, output).is_err() {
            result = Err(Wrong);
        }
    }
    if let Some(name) = options.empty_output {
        create_empty(&mut directory, name)?;
    }
    result
}

fn has_error(directory: &mut Path) -> bool {
    within(directory, ERROR, |path| system::exists(path.text())).unwrap_or(false)
}

/// Calls a function with the path of an entry; the path is restored afterwards.
fn within<T>(
    directory: &mut Path,
    name: &[u8],
    act: impl FnOnce(&mut Path) -> T,
) -> Result<T, TooLong> {
    let length = directory.length();
    directory.push(name)?;
    let result = act(directory);
    directory.truncate(length);
    Ok(result)
}

fn check_output(directory: &mut Path, output: Output) -> Result<(), Wrong> {
    let entry = find_entry(directory, output)?;
    within(directory, entry.bytes(), |path| check_entry(path, output)).unwrap_or_else(|_| {
        let mut line = Line::error();
        line.quoted(output.name)
            .text(" is at a path that is longer than the kernel allows")
            .send();
        Err(Wrong)
    })
}

/// The name of an output's entry: its own, or the only one of its name with an extension.
fn find_entry(directory: &Path, output: Output) -> Result<Name, Wrong> {
    let name = output.name;
    let next = |after: Option<&Name>, accepts: &dyn Fn(&[u8]) -> bool| {
        directory::next_name(directory.text(), after, accepts).or_else(|errno| match errno {
            // A directory that is not there has no entries.
            Errno::NOENT => Ok(None),
            errno => Err(cannot_be_read(directory.bytes(), errno)),
        })
    };
    if let Some(found) = next(None, &|entry| entry == name)? {
        return Ok(found);
    }
    let has_extension = |entry: &[u8]| {
        entry
            .strip_prefix(name)
            .is_some_and(|rest| rest.first() == Some(&b'.'))
    };
    let Some(first) = next(None, &has_extension)? else {
        return Err(missing(directory, output));
    };
    let Some(mut other) = next(Some(&first), &has_extension)? else {
        return Ok(first);
    };
    let mut line = Line::error();
    line.quoted(name)
        .text(" matches each of ")
        .quoted(first.bytes());
    // Each name is looked up again, so that none has to be stored. The first ones are enough to see what is wrong.
    const MOST: usize = 10;
    for count in 2.. {
        line.text(", ").quoted(other.bytes());
        match next(Some(&other), &has_extension)? {
            Some(_) if count == MOST => {
                line.text(", ...");
                break;
            }
            Some(name) => other = name,
            None => break,
        }
    }
    line.text(": write only one of them").send();
    Err(Wrong)
}

fn missing(directory: &Path, output: Output) -> Wrong {
    let mut line = Line::error();
    line.quoted(output.name)
        .text(" is missing: the program must write ")
        .text(output.ty.expected());
    line.text(" to `")
        .foreign(directory.bytes())
        .text("/")
        .foreign(output.name)
        .text("`");
    if let Some(found) = similar_entry(directory.text(), output.name) {
        line.text("; it wrote ").quoted(found.bytes());
    }
    line.send();
    Wrong
}

/// The entry whose name is nearest to that of an output.
fn similar_entry(directory: &CStr, name: &[u8]) -> Option<Name> {
    let mut fewest = None;
    let listed = directory::open(directory).ok()?.for_each(|entry, _| {
        let edits = nearest::edits(name, entry);
        fewest = match (fewest, edits) {
            (Some(fewest), Some(edits)) => Some(edits.min(fewest)),
            (fewest, edits) => fewest.or(edits),
        };
    });
    listed.ok().and(fewest)?;
    directory::next_name(directory, None, |entry| {
        nearest::edits(name, entry) == fewest
    })
    .ok()
    .flatten()
}

fn check_entry(path: &mut Path, output: Output) -> Result<(), Wrong> {
    let (kind, size) =
        system::metadata(path.text()).map_err(|errno| cannot_be_read(path.bytes(), errno))?;
    if kind == Kind::Directory {
        check_below(path)?;
    }
    let mut line = Line::error();
    match (kind, output.ty) {
        (Kind::Link | Kind::Other, _) => return Err(unsupported(path.bytes(), kind)),
        (Kind::Directory, OutputType::Directory) => return Ok(()),
        (Kind::Directory, _) => {
            line.quoted(path.bytes())
                .text(" is a directory, and ")
                .quoted(output.name);
            line.text(" is declared as `")
                .text(output.word)
                .text("`")
                .send();
        }
        (Kind::File, OutputType::Directory) => {
            line.quoted(path.bytes())
                .text(" is a file, and ")
                .quoted(output.name)
                .text(" is declared as a directory")
                .send();
        }
        (Kind::File, OutputType::File) => {
            return system::open_file(path.text())
                .map(drop)
                .map_err(|errno| cannot_be_read(path.bytes(), errno));
        }
        (Kind::File, _) if size > MAX_BYTES => {
            line.quoted(output.name)
                .text(" has ")
                .number(size)
                .text(" bytes; copilot accepts at most ")
                .number(MAX_BYTES);
            line.text(" of a value that is not a file: declare it as `file`, or write less")
                .send();
        }
        (Kind::File, _) => return check_text(path, output),
    }
    Err(Wrong)
}

/// Checks the text of an output that is neither a file nor a directory.
fn check_text(path: &Path, output: Output) -> Result<(), Wrong> {
    let mut buffer = [0; MAX_BYTES as usize];
    let bytes =
        read_all(path.text(), &mut buffer).map_err(|errno| cannot_be_read(path.bytes(), errno))?;
    let Ok(text) = core::str::from_utf8(bytes) else {
        Line::error()
            .quoted(output.name)
            .text(" is not UTF-8")
            .send();
        return Err(Wrong);
    };
    let text = trim(text);
    if output.ty.accepts(text) {
        return Ok(());
    }
    let mut line = Line::error();
    line.quoted(output.name).text(" holds ");
    const LONGEST: usize = 60;
    match text.bytes().filter(|byte| !is_continuation(*byte)).count() {
        0 => line.text("nothing"),
        1..=LONGEST => line.quoted(text.as_bytes()),
        count => line.number(count as u64).text(" characters"),
    };
    line.text(", which is not ")
        .text(output.ty.expected())
        .send();
    Err(Wrong)
}

/// Reads a file into a buffer, which has the size that the file had when it was checked.
fn read_all<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let file = system::open_file(path)?;
    let mut length = 0;
    loop {
        match system::read(&file, &mut buffer[length..])? {
            0 => return Ok(&buffer[..length]),
            count => length += count,
        }
    }
}

/// How many levels of directories are searched, which bounds the stack. Deeper levels are checked only by copilot.
const LEVELS: usize = 64;

/// What copilot does not support below a directory: the first by path, so that it is the same one each time.
struct Unsupported {
    path: Path,
    kind: Kind,
}

/// Checks that there are only files and directories below a directory.
fn check_below(directory: &mut Path) -> Result<(), Wrong> {
    let mut first = None;
    search(directory, LEVELS, &mut first)?;
    match first {
        Some(Unsupported { path, kind }) => Err(unsupported(path.bytes(), kind)),
        None => Ok(()),
    }
}

fn search(
    directory: &mut Path,
    levels: usize,
    first: &mut Option<Unsupported>,
) -> Result<(), Wrong> {
    let Some(levels) = levels.checked_sub(1) else {
        return Ok(());
    };
    let opened = directory::open(directory.text())
        .map_err(|errno| cannot_be_read(directory.bytes(), errno))?;
    let mut result = Ok(());
    let listed = opened.for_each(|name, kind| {
        if result.is_ok() {
            result = within(directory, name, |path| {
                search_entry(path, kind, levels, first)
            })
            .unwrap_or_else(|TooLong| Err(cannot_be_read(name, Errno::NAMETOOLONG)));
        }
    });
    result.and(listed.map_err(|errno| cannot_be_read(directory.bytes(), errno)))
}

fn search_entry(
    path: &mut Path,
    kind: Option<Kind>,
    levels: usize,
    first: &mut Option<Unsupported>,
) -> Result<(), Wrong> {
    // Some file systems do not return the kind in the list of entries.
    let kind = match kind {
        Some(kind) => kind,
        None => {
            system::metadata(path.text())
                .map_err(|errno| cannot_be_read(path.bytes(), errno))?
                .0
        }
    };
    match kind {
        Kind::File => {}
        Kind::Directory => search(path, levels, first)?,
        Kind::Link | Kind::Other => {
            if !first
                .as_ref()
                .is_some_and(|first| first.path.is_before(path))
            {
                *first = Some(Unsupported {
                    path: path.clone(),
                    kind,
                });
            }
        }
    }
    Ok(())
}

/// Creates an empty file for an output that the program has not written.
fn create_empty(directory: &mut Path, name: &[u8]) -> Result<(), Wrong> {
    let created = create_directories(directory.bytes()).and_then(|()| {
        within(directory, name, |path| {
            match system::create_file(path.text()) {
                Err(Errno::EXIST) => Ok(()),
                result => result,
            }
        })
        .unwrap_or(Err(Errno::NAMETOOLONG))
    });
    created.map_err(|errno| {
        let mut line = Line::error();
        line.text("could not create `")
            .foreign(directory.bytes())
            .text("/")
            .foreign(name)
            .text("`: ")
            .errno(errno)
            .send();
        Wrong
    })
}

/// Creates a directory and those above it, as far as they are missing.
fn create_directories(path: &[u8]) -> Result<(), Errno> {
    let mut above = Path::new();
    for component in path.split_inclusive(|byte| *byte == b'/') {
        above
            .push_bytes(component)
            .map_err(|TooLong| Errno::NAMETOOLONG)?;
        match system::create_directory(above.text()) {
            // Also if it is a file; then the next call fails.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn unsupported(path: &[u8], kind: Kind) -> Wrong {
    let what = if kind == Kind::Link {
        "a symbolic link"
    } else {
        "neither a file nor a directory"
    };
    Line::error()
        .quoted(path)
        .text(" is ")
        .text(what)
        .text(", which copilot does not support: write a file")
        .send();
    Wrong
}

fn cannot_be_read(path: &[u8], errno: Errno) -> Wrong {
    Line::error()
        .quoted(path)
        .text(" cannot be read: ")
        .errno(errno)
        .send();
    Wrong
}

/// Whether a byte of UTF-8 is not the first of a character.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
