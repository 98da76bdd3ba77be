package command

// Files is how many descriptors one execution holds at most, while it starts: the
// two ends of five pipes (lifeline, report, standard input, output and error) and of
// the one by which a start is reported, and the process's own. While it runs there
// are six.
const Files = 13
