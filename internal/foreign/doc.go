// Package foreign reads foreign layers: layers that stay with their publisher, because a manifest lists URLs for
// them (image-spec v1.1.1 §Non-Distributable Layers).
//
// The URLs come from whoever made the image. So a request to them has no login and no cookie, goes to public addresses
// only, also after a redirect, and does not leave HTTPS. The reader of a layer verifies its digest, as for every blob.
//
// Files, in the order of the walk:
//
//	source.go   a repository whose foreign layers are blobs
//	fetcher.go  requests to the URLs of layers
package foreign
