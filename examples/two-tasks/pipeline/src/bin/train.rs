use model::Line;

fn main() {
    pipeline::introduce("train");
    match Line::fit(&[(0.0, 1.0), (1.0, 2.9), (2.0, 5.1)]) {
        Some(line) => println!("train: y = {:.2} x + {:.2}", line.slope, line.offset),
        None => println!("train: no line fits"),
    }
}
