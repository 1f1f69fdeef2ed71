//! The structures of the livepatch core (`include/linux/livepatch.h`), laid out as BTF says.

use super::file::{Field, File, Sec, Shape, Target};
use super::module::Livepatch;
use livepatch_kernel::btf::BtfError;
use livepatch_kernel::{Kernel, KernelError, Layout};
use object::elf;

pub(super) type BtfResult<T> = Result<T, BtfError>;

/// A replaced function.
pub(super) struct Replaced {
    /// The name of the old one.
    pub name: String,
    /// Its position among those of its name.
    pub position: u32,
    /// The new one.
    pub place: (Sec, u64),
}

/// What is replaced in the kernel or a module.
pub(super) struct Patched<'l> {
    /// `None` for the kernel itself.
    pub module: Option<&'l str>,
    pub functions: Vec<Replaced>,
    /// Functions that the livepatch core calls around the switch, by member of `struct klp_callbacks`.
    pub callbacks: Vec<(&'static str, (Sec, u64))>,
}

/// Layouts of the structures that are written.
pub(super) struct Layouts {
    pub module: Layout,
    patch: Layout,
    object: Layout,
    func: Layout,
    callbacks: Layout,
}

impl Layouts {
    pub(super) fn of(kernel: &Kernel) -> Result<Self, KernelError> {
        let names = [
            "module",
            "klp_patch",
            "klp_object",
            "klp_func",
            "klp_callbacks",
        ];
        let [module, patch, object, func, callbacks] = kernel.layouts(names)?;
        Ok(Self {
            module,
            patch,
            object,
            func,
            callbacks,
        })
    }
}

pub(super) fn writable(align: u64) -> Shape {
    Shape::contents(elf::SHF_ALLOC | elf::SHF_WRITE, align)
}

pub(super) fn pointer(file: &mut File, section: Sec, offset: u64, (target, addend): (Sec, u64)) {
    let field = Field {
        offset,
        kind: elf::R_X86_64_64.0,
        target: Target::Own(target),
        addend: addend.cast_signed(),
    };
    file.relocate(section, field);
}

/// Adds `struct klp_patch`, `klp_object[m + 1]`, and for each object `klp_func[n + 1]`; the last of each array is zero. Returns where
/// the first is.
pub(super) fn structures(
    file: &mut File,
    livepatch: &Livepatch<'_>,
    layouts: &Layouts,
    this: Sec,
) -> BtfResult<(Sec, u64)> {
    let section = file.section(".data.livepatch", writable(64));
    let strings = file.section(".rodata.livepatch", Shape::contents(elf::SHF_ALLOC, 1));
    let Layouts { patch, object, .. } = layouts;
    let replace = patch.offset("replace")? as usize;
    object.offset("funcs")?;
    let objects = patch.size.next_multiple_of(8);
    let size = objects + (livepatch.objects.len() as u64 + 1) * object.size;
    let mut data = vec![0; size as usize];
    data[replace] = u8::from(livepatch.replace);
    file.append(section, 1, &data);
    pointer(file, section, patch.offset("mod")?, (this, 0));
    pointer(file, section, patch.offset("objs")?, (section, objects));
    for (index, one) in livepatch.objects.iter().enumerate() {
        let at = objects + index as u64 * object.size;
        patched(file, one, layouts, (section, strings), at)?;
    }
    Ok((section, 0))
}

/// The members of the `struct klp_object` at `at`, and its functions behind all that is there.
fn patched(
    file: &mut File,
    one: &Patched<'_>,
    layouts: &Layouts,
    (section, strings): (Sec, Sec),
    at: u64,
) -> BtfResult<()> {
    let Layouts {
        object,
        func,
        callbacks,
        ..
    } = layouts;
    let functions = replaced(file, &one.functions, func, (section, strings))?;
    pointer(
        file,
        section,
        at + object.offset("funcs")?,
        (section, functions),
    );
    for (member, place) in &one.callbacks {
        let member = object.offset("callbacks")? + callbacks.offset(member)?;
        pointer(file, section, at + member, *place);
    }
    if let Some(name) = one.module {
        let name = string(file, strings, name);
        pointer(file, section, at + object.offset("name")?, (strings, name));
    }
    Ok(())
}

/// Adds an array of `struct klp_func`; returns where it is.
fn replaced(
    file: &mut File,
    functions: &[Replaced],
    func: &Layout,
    (section, strings): (Sec, Sec),
) -> BtfResult<u64> {
    let position = func.offset("old_sympos")? as usize;
    let mut data = vec![0; (functions.len() + 1) * func.size as usize];
    for (one, entry) in functions.iter().zip(data.chunks_mut(func.size as usize)) {
        entry[position..position + 8].copy_from_slice(&u64::from(one.position).to_le_bytes());
    }
    let start = file.append(section, 8, &data);
    for (index, one) in functions.iter().enumerate() {
        let at = start + index as u64 * func.size;
        let name = string(file, strings, &one.name);
        pointer(
            file,
            section,
            at + func.offset("old_name")?,
            (strings, name),
        );
        pointer(file, section, at + func.offset("new_func")?, one.place);
    }
    Ok(start)
}

fn string(file: &mut File, section: Sec, text: &str) -> u64 {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    file.append(section, 1, &bytes)
}
