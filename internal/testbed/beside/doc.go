// Package beside provides stubs of the APIs that registries offer in addition to the distribution
// API: lists of tags and manifests, and pull limits. In the order of the walk:
//
//	acr.go     Azure's lists, and attributes of tags
//	lists.go   the lists of Docker Hub, Quay, Harbor, GitHub, ECR and Google
//	pulls.go   a pull limit that counts as Docker Hub does
//	shelf.go   the content of one repository, shared by all of these lists
package beside
