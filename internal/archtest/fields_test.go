package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// unread lists fields that no code of this module reads, with the reason.
var unread = map[string]string{
	"cmd/internal/wire.Plan.Digest":    "is compared as a part of the stored request: it tells requests with the same idempotency key apart",
	"credential.helperLogin.ServerURL": "is a part of what a credential helper answers",
	"event.Request.Name":               "is for observers of programs that use the library",
	"oci.Arrival.From":                 "is for tests of the interface transfer.Target",
}

// A field of a struct that is only set, or only copied into other fields that nobody reads, is an
// option, a key or a callback without an effect. Fields with a JSON form, and those of answers with
// headers, are read by whoever gets them. Fields of requests and of the configuration arrive as JSON or
// YAML, so they must count. Packages that only tests import are left out.
func TestEveryFieldIsReadAndNotOnlyCopied(t *testing.T) {
	u := &uses{declared: map[string]token.Position{}, read: map[string]bool{}, copied: map[string][]string{}}
	for _, p := range walks(t) {
		u.declare(p)
		for _, f := range p.Syntax {
			u.file(p, f)
		}
	}
	if len(u.declared) < 500 {
		t.Fatalf("only %d fields were found", len(u.declared))
	}
	for _, key := range slices.Sorted(maps.Keys(u.declared)) {
		used := u.counts(key, map[string]bool{})
		switch _, excused := unread[key]; {
		case !used && !excused:
			at := u.declared[key]
			t.Errorf("%s (%s:%d) is set or copied, but nothing reads it: give it an effect or remove it", key, at.Filename, at.Line)
		case used && excused:
			t.Errorf("%s is read: remove it from the table unread", key)
		}
	}
	for key := range unread {
		if _, there := u.declared[key]; !there {
			t.Errorf("%s is in the table unread, but there is no such field", key)
		}
	}
}

// uses holds what happens to the fields of all named structs. A field is written "room.Type.Field".
type uses struct {
	declared map[string]token.Position
	read     map[string]bool
	copied   map[string][]string // the fields to which a field is copied
}

// counts reports whether key, or a field to which it is copied, is read.
func (u *uses) counts(key string, seen map[string]bool) bool {
	if seen[key] {
		return false
	}
	seen[key] = true
	_, declared := u.declared[key] // a field that need not count, such as one of an answer in JSON, is read by others
	return u.read[key] || !declared || slices.ContainsFunc(u.copied[key], func(to string) bool { return u.counts(to, seen) })
}

// declare finds the fields of p that must count.
func (u *uses) declare(p *packages.Package) {
	name := room(p.PkgPath)
	if slices.ContainsFunc([]string{"testbed", "hostile", "conform", "yard"}, func(s string) bool { return strings.HasPrefix(name, "internal/"+s) }) {
		return
	}
	for _, f := range p.Syntax {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			if slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool { return f.Tag != nil && strings.Contains(f.Tag.Value, "header:") }) {
				return true
			}
			arrives := name == "cmd/internal/config" || name == "cmd/internal/wire" && file(p, f) == "request.go"
			for _, field := range s.Fields.List {
				if field.Tag != nil && strings.Contains(field.Tag.Value, "json:") && !arrives {
					continue
				}
				for _, id := range field.Names {
					if id.Name != "_" {
						u.declared[name+"."+spec.Name.Name+"."+id.Name] = p.Fset.Position(id.Pos())
					}
				}
			}
			return true
		})
	}
}

// file records the uses of fields in f.
func (u *uses) file(p *packages.Package, f *ast.File) {
	var stack []ast.Node
	ast.Inspect(f, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		switch n := n.(type) {
		case *ast.SelectorExpr:
			u.selector(p, n, stack)
		case *ast.CallExpr:
			if to, ok := p.TypesInfo.Types[n.Fun]; ok && to.IsType() && len(n.Args) == 1 {
				u.converted(p.TypesInfo.TypeOf(n.Args[0]), to.Type)
			}
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				u.whole(p.TypesInfo.TypeOf(n.X))
			}
		case *ast.MapType:
			u.whole(p.TypesInfo.TypeOf(n.Key))
		}
		stack = append(stack, n)
		return true
	})
}

// selector records what n does with its field; stack holds the nodes around n, the innermost last.
func (u *uses) selector(p *packages.Package, n *ast.SelectorExpr, stack []ast.Node) {
	path := fieldsOf(p, n)
	if len(path) == 0 {
		return
	}
	key := path[len(path)-1]
	for _, embedded := range path[:len(path)-1] {
		u.read[embedded] = true
	}
	parent := stack[len(stack)-1]
	switch parent := parent.(type) {
	case *ast.AssignStmt:
		if slices.Contains(parent.Lhs, ast.Expr(n)) {
			return
		}
		if i := slices.Index(parent.Rhs, ast.Expr(n)); len(parent.Lhs) == len(parent.Rhs) {
			if to, ok := parent.Lhs[i].(*ast.SelectorExpr); ok {
				if path := fieldsOf(p, to); len(path) > 0 {
					u.copied[key] = append(u.copied[key], path[len(path)-1])
					return
				}
			}
		}
	case *ast.IncDecStmt:
		return
	case *ast.UnaryExpr:
		if parent.Op == token.AND && binds(p, n) {
			return
		}
	case *ast.KeyValueExpr:
		lit, ok := stack[len(stack)-2].(*ast.CompositeLit)
		if id, named := parent.Key.(*ast.Ident); ok && named && parent.Value == ast.Expr(n) {
			if owner := ownerOf(p.TypesInfo.TypeOf(lit)); owner != "" {
				u.copied[key] = append(u.copied[key], owner+"."+id.Name)
				return
			}
		}
	}
	u.read[key] = true
}

// binds reports whether the address of n may have been taken so that a flag or a key can set it, which
// is no use of n: n holds a plain value.
func binds(p *packages.Package, n *ast.SelectorExpr) bool {
	switch p.TypesInfo.TypeOf(n).Underlying().(type) {
	case *types.Basic, *types.Slice:
		return true
	}
	return false
}

// converted records that all fields of from are copied into those of to.
func (u *uses) converted(from, to types.Type) {
	a, b := ownerOf(from), ownerOf(to)
	if a == "" || b == "" {
		return
	}
	source, target := from.Underlying().(*types.Struct), to.Underlying().(*types.Struct)
	for i := range source.NumFields() {
		key := a + "." + source.Field(i).Name()
		u.copied[key] = append(u.copied[key], b+"."+target.Field(i).Name())
	}
}

// whole records that all fields of a struct are read, since its values are compared.
func (u *uses) whole(t types.Type) {
	owner := ownerOf(t)
	if owner == "" {
		return
	}
	for field := range t.Underlying().(*types.Struct).Fields() {
		u.read[owner+"."+field.Name()] = true
		u.whole(field.Type())
	}
}

// fieldsOf returns the fields that n goes through, the last of which is the one that it names. It is
// empty if n names no field of a struct with a name.
func fieldsOf(p *packages.Package, n *ast.SelectorExpr) (path []string) {
	s, ok := p.TypesInfo.Selections[n]
	if !ok {
		return nil
	}
	t, index := s.Recv(), s.Index()
	if s.Kind() != types.FieldVal {
		index = index[:len(index)-1] // of a method: the embedded fields on the way to it
	}
	for _, i := range index {
		if pointer, ok := t.Underlying().(*types.Pointer); ok {
			t = pointer.Elem()
		}
		s, ok := t.Underlying().(*types.Struct)
		if !ok {
			return nil
		}
		path = append(path, fmt.Sprintf("%s.%s", ownerOf(t), s.Field(i).Name()))
		t = s.Field(i).Type()
	}
	return path
}

// ownerOf returns "room.Type" of a struct of this module with a name; "" for any other type.
func ownerOf(t types.Type) string {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || !strings.HasPrefix(named.Obj().Pkg().Path(), module) {
		return ""
	}
	if _, ok := named.Underlying().(*types.Struct); !ok {
		return ""
	}
	return room(named.Obj().Pkg().Path()) + "." + named.Obj().Name()
}
