fn main() {
    union_build::emit();
}
