//! QR codes in a terminal and on paper.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode, render::unicode::Dense1x2};

/// A QR code of half blocks, light on dark with its quiet zone, as most terminals are; `None` when the text is too long.
pub fn picture(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let picture = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    Some(picture)
}

/// A QR code as an SVG picture of one path, in which each run of dark modules is a bar; `None` when the text is too long.
pub fn svg(text: &str) -> Option<String> {
    const QUIET: usize = 4;
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (row, modules) in code.to_colors().chunks(width).enumerate() {
        let mut column = 0;
        for run in modules.chunk_by(|one, other| one == other) {
            if run[0] == Color::Dark {
                let (x, y, length) = (column + QUIET, row + QUIET, run.len());
                // Writing to a string does not fail.
                let _ = write!(path, "M{x} {y}h{length}v1h-{length}z");
            }
            column += run.len();
        }
    }
    let side = width + 2 * QUIET;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" \
         role=\"img\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/><path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_link_still_fits_a_terminal() {
        let link = format!("https://simo.example.org/{}/app/#pair=K7QD-M2XA-9F", "x".repeat(40));
        let picture = picture(&link).unwrap();
        assert!(picture.lines().all(|line| line.chars().count() <= 80));
        assert!(picture.lines().count() < 30);
    }

    #[test]
    fn the_picture_holds_every_dark_module() {
        let text = "https://simo.example.org/app/#pair=K7QD-M2XA-9F";
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let dark = code.to_colors().iter().filter(|color| **color == Color::Dark).count();
        let svg = svg(text).unwrap();
        let runs = svg.split("v1h-").skip(1).filter_map(|rest| rest.split_once('z'));
        let drawn: usize = runs.map(|(length, _)| length.parse::<usize>().unwrap()).sum();
        assert_eq!(drawn, dark);
    }
}
