package product

import (
	"strings"

	"github.com/drayage/dray/credential"
)

// Dialect is how a registry differs from distribution-spec v1.1.1. The zero
// value is a registry that keeps to it. Answers teach more at run time.
type Dialect struct {
	Kind     string
	Chunk    int64 // bytes of one PATCH; 0 sends a blob whole, in one PUT
	MaxChunk int64 // the largest PATCH it takes; 0 is any
	MinChunk int64 // the smallest PATCH but the last; 0 is any

	NoChunks  bool // PATCH is refused
	NoResume  bool // what it says of an upload under way is not to be trusted
	FullClose bool // the last bytes go into the closing PUT, which must not be empty
	TagQuery  bool // PUT by digest takes ?tag= (distribution-spec main, end-7b)
}

// dialects are the known kinds.
var dialects = map[string]Dialect{
	"acr":  {Kind: "acr"},
	"ecr":  {Kind: "ecr", MinChunk: 5 << 20, NoResume: true, FullClose: true}, // its Range stays at the first chunk
	"gar":  {Kind: "gar", NoChunks: true, NoResume: true},
	"ghcr": {Kind: "ghcr", MaxChunk: 4 << 20},
	"quay": {Kind: "quay"},
	"hub":  {Kind: "hub"}, "dockerhub": {Kind: "hub"},
	"harbor": {Kind: "harbor"},
	"zot":    {Kind: "zot", TagQuery: true, NoResume: true}, // a cut upload ends its session
}

// kinds tells the kind from the name of the host.
var kinds = []struct{ suffix, kind string }{
	{"docker.io", "hub"},
	{".azurecr.io", "acr"}, {".azurecr.cn", "acr"}, {".azurecr.us", "acr"},
	{".amazonaws.com", "ecr"}, {".amazonaws.com.cn", "ecr"}, {"public.ecr.aws", "ecr"},
	{"ghcr.io", "ghcr"},
	{".pkg.dev", "gar"}, {"gcr.io", "gar"},
	{"quay.io", "quay"},
}

// Of is the configured kind, else what the name tells; "" when that is nothing.
func Of(host string, set credential.Settings) string {
	if set.Kind != "" {
		return set.Kind
	}
	for _, k := range kinds {
		if host == k.suffix || strings.HasSuffix(host, "."+strings.TrimPrefix(k.suffix, ".")) {
			return k.kind
		}
	}
	return ""
}

// DialectOf picks by product. One that is not known is a plain registry.
func DialectOf(host string, set credential.Settings) Dialect {
	d := dialects[Of(host, set)]
	if set.ChunkSize > 0 && !d.NoChunks {
		d.Chunk = set.ChunkSize
	}
	return d
}
