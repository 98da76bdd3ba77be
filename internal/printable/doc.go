// Package printable makes foreign text fit for a terminal and for a log: the text of a znode,
// of a payload, or of a command's output may be hostile.
//
// A character that a terminal acts upon is written as in a Go string: ESC becomes \x1b, U+202E
// becomes \u202e. These are the control characters (C0 without tab, DEL, C1), the line and
// paragraph separators, the characters that change the direction of text (Unicode's
// Bidi_Control), and bytes that are not UTF-8. All other characters stay as they are. So
// printable text is not changed, and nothing is dropped.
package printable
