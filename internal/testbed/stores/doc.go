// Package stores starts object stores for tests: moto as S3, Azurite as Azure Blob Storage, and fake-gcs-server as
// Google Cloud Storage. `make stores` installs them in .tools of this repository. If one is missing, its tests are
// skipped. In the order of the walk:
//
//	azure.go    Azurite, and a container in it
//	gcs.go      fake-gcs-server, and a bucket in it
//	s3.go       moto, and a bucket in it
//	stores.go   starts and ends the servers
//	google.go   a proxy that stands in for Google's hosts
package stores
