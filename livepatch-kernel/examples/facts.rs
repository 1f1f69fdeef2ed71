//! Prints what is known about a kernel: `facts RELEASE [ROOT [SYMVERS]]`.

use livepatch_kernel::{Kernel, Paths};
use std::path::PathBuf;

fn main() -> Result<(), livepatch_kernel::KernelError> {
    let mut arguments = std::env::args().skip(1);
    let release = arguments.next().unwrap_or_default();
    let paths = Paths {
        root: PathBuf::from(arguments.next().unwrap_or_else(|| "/".to_owned())),
        symvers: arguments.next().map(PathBuf::from),
        ..Paths::default()
    };
    let kernel = Kernel::read(&release, &paths)?;
    println!("build ID {}, `{}`", kernel.build_id, kernel.vermagic);
    println!("{} symbols", kernel.symbols.all().len());
    for layout in kernel.layouts(["module", "klp_patch", "klp_object", "klp_func"])? {
        println!("struct {}: {} bytes", layout.name, layout.size);
    }
    Ok(())
}
