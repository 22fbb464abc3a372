// Package visible shows text of others so that it can neither control a terminal nor deceive its reader.
//
// A registry, a file or another user of a server chooses names, platforms and reasons that dray prints. Characters in
// them can move a cursor, forge lines, reverse the order of what follows, or be there without being seen. This package
// writes each of them as JSON escapes it, such as \u001b or \u202e, so that what is printed is the same in a text and
// in JSON, and JSON keeps its meaning. Letters of all scripts stay as they are. A backslash stays, too: the forms are
// for people, and nothing reads them back.
//
//	writer.go   a stream to a terminal, as the last guard of all that is printed
//	text.go     what is escaped, and texts on one line
package visible
