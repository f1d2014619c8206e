//! The screens are compiled in: whoever builds them anew builds this crate anew.

fn main() {
    println!("cargo::rerun-if-changed=web/dist");
}
