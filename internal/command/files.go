package command

// Files is how many descriptors one execution holds at most: of its supervisor a socket,
// the lifeline and, on Linux, the process's own; and the two ends of three pipes, until
// the supervisor has the others. Before, while a supervisor is started, there are eight.
// While the command runs there are six, and three of a supervisor that is idle.
const Files = 9
