use super::quantity;

#[test]
fn times_are_written_as_people_say_them() {
    let cases = [
        (1.0 / 6.0, "h", "10m"),
        (94.5, "h", "94h30m"),
        (120.983_333_333_333, "h", "120h59m"),
        (0.5, "min", "30s"),
        (0.166_666_666_666_666_66, "tx/s", "0.166667 tx/s"),
        (7.0, "", "7"),
        (-38.8, "h", "-38h48m"),
    ];
    for (value, unit, text) in cases {
        assert_eq!(quantity(value, unit), text);
    }
}
