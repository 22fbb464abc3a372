// Package expression runs the patterns and substitutions that others wrote. Their size, the size of what they make and
// the time that they take are limited, so that a short request cannot keep a program busy or fill its memory.
//
// In the order of the walk:
//
//	replace.go  substitutions
//	pattern.go  globs and regular expressions
package expression
