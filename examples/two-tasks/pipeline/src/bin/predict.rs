use model::Line;

fn main() {
    pipeline::introduce("predict");
    let line = Line {
        slope: 2.05,
        offset: 0.95,
    };
    println!("predict: at 3 it is {:.2}", line.at(3.0));
}
