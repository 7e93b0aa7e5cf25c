//! Reads what only somebody with the token could put into the image.

fn main() {
    match std::fs::read_to_string("/opt/model.txt") {
        Ok(model) => println!("the private model says: {}", model.trim()),
        Err(why) => println!("the private model is in the image, not here: {why}"),
    }
}
