module auren/bench/opener

go 1.24
