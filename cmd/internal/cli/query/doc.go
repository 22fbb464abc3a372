// Package query reads JMESPath as az does, and finds in a JSON value what an expression asks for.
//
// The library's parser builds the tree of an expression. Its interpreter cannot serve az's scripts: it has
// no order of keys, does not compare strings, and refuses literals without quotes. az runs on jmespath.py,
// which does all of this, so this package walks the tree as jmespath.py does. In the order of the walk:
//
//	query.go      compiles an expression and searches a value
//	tree.go       what each node of the tree finds
//	function.go   the functions of JMESPath
//	budget.go     how much work a query may do
//	asked.go      the keys that a query asks for, and which of them nothing has
//	literal.go    takes literals out of an expression before it is parsed
//	value.go      JSON values that keep the order of keys, and whole numbers whole
package query
