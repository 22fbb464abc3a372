// Package credential finds the login for a registry, keeps it out of sight, and writes logins
// where other container tools find them too.
//
// A Chain asks Lookups in order; the first that knows the repository answers and no answer means
// anonymous. Files brings the lookups for docker's and podman's files and their credential
// helpers, and the writing side of login and logout. Clouds brings the lookups that trade the
// identity of a machine or a person in a cloud for a login to that cloud's registries. Nothing
// here talks to a registry: what a Login's Scheme demands is done by the client that uses it.
//
// Files, in the order of the walk:
//
//	clouds.go          the lookups of all clouds, and GitHub's
//	azure.go           Azure: Entra tokens for its registries
//	azure_sources.go   service principals, workload and managed identities, az
//	azure_cloud.go     the separate clouds of Azure
//	google.go          Google: its registries, its metadata service
//	google_adc.go      application default credentials
//	ecr_images.go      ECR's own list of images
//	ecr_repository.go  ECR's repositories: making them, whether tags are immutable
//	ecr.go             ECR: passwords for its registries
//	aws_profile.go     where AWS's tools look for keys; profiles
//	aws.go             keys of the environment, of roles, containers and machines
//	sigv4.go           AWS's signature
//	cloud_ask.go       a question to a cloud, and what errors may repeat of its answer
//	cloud.go           Cloud, and what is remembered of its answers
//	jwt.go             signing what a service takes for a proof
//	store.go           logins are written and removed, where other tools find them too
//	files.go           docker's and podman's files, looked up
//	helper.go          credential helpers
//	authfile.go        one file of logins
//	token.go           what a password may be: a password, or which kind of token
//	settings.go        Settings: how a registry is spoken to
//	credential.go      Secret, Login, Chain
package credential
