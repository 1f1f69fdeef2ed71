//! Unpacking what kernels and modules are packed with, known by its first bytes.

use flate2::read::GzDecoder;
use lzma_rust2::{LzmaReader, XzReader};
use ruzstd::decoding::StreamingDecoder;
use std::borrow::Cow;
use std::io::{self, Read};
use thiserror::Error;

/// More than any kernel has, in bytes.
const MOST: u64 = 1 << 30;
/// Kernels are packed with a dictionary of 128 MiB at most.
const MEMORY_KIB: u32 = 256 << 10;

/// Why something cannot be unpacked.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// Packed in another way.
    #[error("packed in a way that is not known (it begins with {0})")]
    Unknown(String),
    /// Damaged.
    #[error("damaged {format} data")]
    Damaged {
        /// How it is packed.
        format: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Beyond reason.
    #[error("more than {MOST:#x} bytes when unpacked")]
    TooLarge,
}

/// The contents of packed data; ELF files are taken as they are. What follows the packed data is ignored.
pub(crate) fn unpack(data: &[u8]) -> Result<Cow<'_, [u8]>, UnpackError> {
    let (format, reader): (_, Box<dyn Read + '_>) = match data {
        [0x7f, b'E', b'L', b'F', ..] => return Ok(Cow::Borrowed(data)),
        [0x1f, 0x8b, ..] => ("gzip", Box::new(GzDecoder::new(data))),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => (
            "xz",
            Box::new(XzReader::new_mem_limit(data, false, MEMORY_KIB)),
        ),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("zstd", zstd(data)?),
        [0x5d, 0, 0, ..] => ("lzma", lzma(data)?),
        _ => {
            let head = data.get(..4).unwrap_or(data);
            return Err(UnpackError::Unknown(head.escape_ascii().to_string()));
        }
    };
    let mut unpacked = Vec::new();
    reader
        .take(MOST + 1)
        .read_to_end(&mut unpacked)
        .map_err(|source| UnpackError::Damaged { format, source })?;
    if unpacked.len() as u64 > MOST {
        return Err(UnpackError::TooLarge);
    }
    Ok(Cow::Owned(unpacked))
}

fn zstd(data: &[u8]) -> Result<Box<dyn Read + '_>, UnpackError> {
    let damaged = |error| UnpackError::Damaged {
        format: "zstd",
        source: io::Error::other(error),
    };
    Ok(Box::new(StreamingDecoder::new(data).map_err(damaged)?))
}

fn lzma(data: &[u8]) -> Result<Box<dyn Read + '_>, UnpackError> {
    let damaged = |source| UnpackError::Damaged {
        format: "lzma",
        source,
    };
    Ok(Box::new(
        LzmaReader::new_mem_limit(data, MEMORY_KIB, None).map_err(damaged)?,
    ))
}
