//! A QR code as SVG.

use std::fmt;

use askama::filters::HtmlSafe;
use qrcode::Color;

/// Modules of white around the code, as the standard demands.
const QUIET: usize = 4;

/// A QR code; it shows as SVG, black on white whatever the page's colours are.
pub(super) struct QrCode(qrcode::QrCode);

impl QrCode {
    /// The code of a text; `None` for one that is too long.
    pub(super) fn of(text: &str) -> Option<Self> {
        qrcode::QrCode::new(text).ok().map(Self)
    }
}

impl fmt::Display for QrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.width();
        let side = width + 2 * QUIET;
        write!(
            f,
            "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"QR code for your authenticator app\" \
             shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path fill=\"#000\" d=\""
        )?;
        for (at, color) in self.0.to_colors().into_iter().enumerate() {
            if color == Color::Dark {
                write!(f, "M{} {}h1v1h-1z", at % width + QUIET, at / width + QUIET)?;
            }
        }
        f.write_str("\"/></svg>")
    }
}

// Numbers and constants alone: the text is drawn, not written.
impl HtmlSafe for QrCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_and_does_not_hold_its_text() {
        let drawn = QrCode::of("otpauth://totp/Rollcall:ann?secret=ABC\"><script>").unwrap().to_string();
        assert!(drawn.starts_with("<svg") && drawn.ends_with("</svg>") && !drawn.contains("otpauth"), "{drawn}");
        // The finder's upper edge.
        assert!(drawn.contains("M4 4h1v1h-1zM5 4h1v1h-1z"), "{drawn}");
        assert!(QrCode::of(&"x".repeat(5000)).is_none());
    }
}
