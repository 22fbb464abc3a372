package ref_test

import (
	"fmt"

	"github.com/drayage/dray/ref"
)

func ExampleParse() {
	for _, s := range []string{"nginx", "nginx:1.27", "localhost:5000/team/app:v1", "oci:build/out:v1"} {
		name, err := ref.Parse(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(name)
	}
	// Output:
	// docker.io/library/nginx
	// docker.io/library/nginx:1.27
	// localhost:5000/team/app:v1
	// oci:build/out:v1
}

func ExampleName() {
	name, err := ref.Parse("prod.example/team/app:v1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(name.Host)
	fmt.Println(name.Path)
	fmt.Println(name.Tag)
	// Output:
	// prod.example
	// team/app
	// v1
}

func ExampleParse_error() {
	_, err := ref.Parse("prod.example/Team/App:v1")
	fmt.Println(err)
	// Output: parse name prod.example/Team/App:v1: invalid: repository names are lower case
}

func ExampleRepo_Tagged() {
	repo, err := ref.NewRepo("prod.example", "team/app")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(repo.Tagged("v1"))
	// Output: prod.example/team/app:v1
}
