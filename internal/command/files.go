package command

// Files is how many descriptors one execution holds at most. Three are for its supervisor:
// a socket, the lifeline and, on Linux, a descriptor of the process. Six are both ends of
// three pipes, until the supervisor has its ends. It is eight while a supervisor is started,
// six while the command runs, and three while the supervisor is idle.
const Files = 9
