// Package beside has what registries have beside the distribution API: lists of their own, and
// limits of pulls. In the order of the walk:
//
//	acr.go     Azure's lists, and attributes of tags
//	lists.go   lists of Docker Hub, Quay, Harbor, GitHub, ECR and Google
//	pulls.go   pulls, counted as Docker Hub does
//	shelf.go   what one repository holds, for all of these lists
package beside
