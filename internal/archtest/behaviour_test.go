package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// readsText lists functions that read the text of an error or a hint, with the reason.
var readsText = map[string]string{
	"credential.unknownAudience":             "Entra has no code for this in its older versions",
	"cmd/internal/store.postgresVerdict":     "pgx has no value for a connection that is closed",
	"cmd/internal/config.(parser).syntax":    "package yaml has no type for its errors, which begin with the line",
	"fault.(*Fault).Error":                   "writes the text of the error itself",
	"internal/echo.(*Sent).Error":            "finds out whether the text has a secret",
	"internal/remote/push.(*upload).neither": "does not print the same words twice",
	"internal/remote/reason.Certificate":     "package tls has no type for the alert of a server",
	"internal/remote/wire.(*Host).isTLS":     "package http has no type for an answer that is not HTTP",
	"cmd/internal/cli/run.prefixOf":          "does not print the same name twice",
}

// A program decides by the Kind of an error and by the values in it, never by its text or its hint: these may
// change at any time.
func TestNothingDependsOnTheTextOfAnError(t *testing.T) {
	found := map[string]bool{}
	for _, p := range walks(t) {
		name := room(p.PkgPath)
		if strings.HasPrefix(name, "bench") || onlyForTests(name) {
			continue
		}
		for _, f := range p.Syntax {
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				key := name + "." + strings.ReplaceAll(strings.TrimPrefix(p.TypesInfo.Defs[fn.Name].(*types.Func).FullName(), p.PkgPath+"."), p.PkgPath+".", "")
				at := textRead(p, fn.Body)
				if !at.IsValid() {
					continue
				}
				found[key] = true
				if readsText[key] == "" {
					t.Errorf("%s: %s depends on the text of an error or a hint: put a value into the error, or a type", p.Fset.Position(at), key)
				}
			}
		}
	}
	for key := range readsText {
		if !found[key] {
			t.Errorf("%s is in the table readsText, but reads no text", key)
		}
	}
}

// textRead returns the place in body where the text of an error or a hint is compared or searched.
func textRead(p *packages.Package, body *ast.BlockStmt) (at token.Pos) {
	holders := map[types.Object]bool{} // variables that hold such a text
	isText := func(e ast.Expr) bool {
		text := false
		ast.Inspect(e, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				key := calleeOf(p, n)
				text = text || strings.HasSuffix(key, ".Error") && len(n.Args) == 0 && isError(p, n.Fun) || key == module+"/fault.HintOf"
			case *ast.SelectorExpr:
				text = text || n.Sel.Name == "Hint" && ownerOf(deref(p.TypesInfo.TypeOf(n.X))) == "fault.Fault"
			case *ast.Ident:
				text = text || holders[p.TypesInfo.Uses[n]]
			}
			return !text
		})
		return text
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				if id, ok := l.(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) && isString(p.TypesInfo.TypeOf(n.Rhs[i])) && isText(n.Rhs[i]) {
					holders[p.TypesInfo.ObjectOf(id)] = true
				}
			}
		case *ast.CallExpr:
			if reads(calleeOf(p, n)) && slices.ContainsFunc(n.Args, isText) {
				at = n.Pos()
			}
		case *ast.BinaryExpr:
			if n.Op != token.EQL && n.Op != token.NEQ || !isString(p.TypesInfo.TypeOf(n.X)) {
				return true
			}
			for _, pair := range [][2]ast.Expr{{n.X, n.Y}, {n.Y, n.X}} {
				if v := p.TypesInfo.Types[pair[1]].Value; isText(pair[0]) && (v == nil || v.ExactString() != `""`) {
					at = n.Pos()
				}
			}
		}
		return true
	})
	return at
}

// reads reports whether a function of the standard library looks for something in its arguments.
func reads(key string) bool {
	of, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(key, "(*"), "regexp.Regexp)"), ".")
	if of == "strings" || of == "bytes" {
		return !slices.Contains([]string{"Join", "Map", "NewReader", "Repeat", "ReplaceAll", "TrimSpace", "ToLower", "ToValidUTF8"}, name)
	}
	return strings.HasPrefix(key, "regexp.Match") || strings.HasPrefix(key, "(*regexp.Regexp).Match") || strings.HasPrefix(key, "(*regexp.Regexp).Find")
}

func isError(p *packages.Package, fun ast.Expr) bool {
	sel, ok := ast.Unparen(fun).(*ast.SelectorExpr)
	return ok && types.Implements(p.TypesInfo.TypeOf(sel.X), types.Universe.Lookup("error").Type().Underlying().(*types.Interface))
}

func isString(t types.Type) bool {
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsString != 0
}

func deref(t types.Type) types.Type {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		return p.Elem()
	}
	return t
}
