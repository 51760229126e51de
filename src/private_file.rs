//! Files with secrets: readable by their owner alone, and put into place whole, so that nobody ever reads half of one.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Writes a file where there is none. Of two processes that write at once, the first one's text stays; says whether this
/// text is the one that is there.
pub(crate) fn create(file: &Path, text: &str) -> io::Result<bool> {
    let aside = write_aside(file, text)?;
    let linked = fs::hard_link(&aside, file);
    fs::remove_file(&aside)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a file in the place of the one that is there.
pub(crate) fn replace(file: &Path, text: &str) -> io::Result<()> {
    fs::rename(write_aside(file, text)?, file)
}

fn write_aside(file: &Path, text: &str) -> io::Result<PathBuf> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    // Two threads of one process may write at once, too.
    let aside = file.with_extension(format!("{:016x}.new", rand::random::<u64>()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(&aside)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    Ok(aside)
}
