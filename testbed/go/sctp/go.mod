// Stands in for the kernel's SCTP sockets: see sctp.go. It has the name of the module that it replaces in ../kubernetes.
module github.com/ishidawataru/sctp

go 1.26.0
