//! Writes the inputs that are made in code where libFuzzer starts from.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/found");
    for target in fuzz_targets::TARGETS {
        let folder = found.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (index, seed) in (target.seeds)().into_iter().enumerate() {
            std::fs::write(folder.join(format!("made-{index:02}")), seed)?;
        }
    }
    Ok(())
}
