// Package access says who may do what with the znodes of an installation.
//
// The policy is a znode, /access below the chroot: a line for each role, with the ids
// that have it, as ZooKeeper's ACLs name them. What follows a # is a comment.
//
//	admin   x509:CN=tk-admin
//	master  x509:CN=tk-master
//	worker  x509:CN=tk-worker
//	client  x509:CN=tk-client x509:CN=alice   # each reads its own tasks only
//	viewer  x509:CN=tk-viewer
//
// Without the znode the installation is open: everyone may do anything. A policy that
// cannot be read is none of the two: then nothing is created (package session).
//
// Which ACL a znode has follows from the policy and from the place of the znode alone:
// the table in table.go. It is given when the znode is created; an ACL is not inherited.
// Only the client that created a task may read it.
//
// testdata/matrix.golden shows what that comes to on a server: each znode, each call and each
// role, other calls, and who is not let in. testdata/calls says which request of the programs
// needs which of these rights. Tests keep table, server, code and both files the same.
//
// The package is pure: the I/O is that of package session (what is created) and of
// package closing (what is there already).
//
// A znode that is created by hand wants an ACL behind its data, or everyone with a certificate
// may do anything with it, which client doctor finds. client access show PATH prints the ACL
// for a path, such as /workers/me or /master/me-. scripts/zookeeper shell --as worker plays
// that role.
//
// # Who is stopped
//
//   - A program without a certificate of the CA, or with one that has expired, gets no
//     connection. An eavesdropper on the network learns nothing.
//   - A client cannot list tasks, nor read, change or answer those of another client.
//   - A client or a worker cannot run for leader, a client or a master cannot take tasks as a
//     worker, and a worker cannot submit tasks.
//   - A viewer cannot write, nor read payloads.
//   - Only an admin changes the policy, an ACL or a quota.
//
// # Who is not stopped
//
//   - A person with the CA's key can be anyone. A person who reads the servers' disks reads all.
//   - A client can delete a task whose id it knows. An id has 74 random bits.
//   - Workers read all payloads and write all results. A command can do what its worker can, if
//     it runs as the same user and finds the key: with --any-command clients are trusted as much
//     as workers.
//   - A program with a certificate can overload the servers. Quotas bound that (client access close
//     --quota), and servers of one's own end it.
//   - A program with a certificate can end the sessions of others, because ZooKeeper derives their
//     passwords from consecutive ids. The programs start over, and no task is lost.
//   - A client or a worker can create znodes which only it may read: client access close names
//     them. An admin can delete those without children, the servers' superuser the others.
//
// # Certificates
//
// Use a CA that issues subjects of one CN= only. A subject with O= or OU= can have no role,
// because ZooKeeper's ACLs take no comma. A program warns a week, a day and an hour before its
// certificate or the CA's expires (of a shorter one: in the second half of its time), and says
// when it has. A renewed file counts from the next connection, without a restart. A server
// reads its own at its start: after scripts/certificates --renew copy them, and restart the
// servers one after the other; sessions outlast that.
//
// A program without its role says so, and waits. One that a new policy takes its role from ends
// its session at once, so that others take over. It may not register, so client status does
// not show it: its log does. A client that a later policy does not name cannot use its tasks
// until it is named again. To hand over to another admin, name both first.
//
// With audit.enable=true in zoo.cfg a server logs each write of its clients, with certificate,
// znode and result, if it logs at all. Debian's zkServer.sh does so by the two lines in
// environment below: to /var/log/zookeeper/zookeeper.log, of 10 MB, and one older file.
// scripts/zookeeper start --audit logs to log in the server's folder.
//
// # To close a running installation
//
// It goes on working. Here it is that of the README's section "Several machines", in its shell.
// First certificates: those of the roles and the servers', one of a further client, which the
// policy may name in a role's line, and later new ones for all that end within 30 days:
//
//	# scripts/certificates tls --hosts node1,node2,node3 >/dev/null
//	# scripts/certificates tls alice >/dev/null
//	# scripts/certificates tls --renew
//	# for n in node1 node2 node3; do \
//	    tar -cC tls {ca,server,quorum-ca,quorum}.pem | on $n 'mkdir -p /etc/zookeeper/tls && tar -xoC /etc/zookeeper/tls && \
//	      chown -R zookeeper /etc/zookeeper/tls' && \
//	    tar -cC tls ca.pem {master,worker}.{pem,key} | on $n 'cd /etc/taskkeeper && tar -xo && chmod a+r *.pem && \
//	      chown taskkeeper-master master.key && chown taskkeeper worker.key' || break; \
//	  done
//
// The keys of the two CAs (tls/ca.key, tls/quorum-ca.key) then go where nobody reaches them. A
// client gets ca.pem and its own two files. Then the servers, one after the other, get a port
// with TLS beside the plain one, and the programs use it:
//
//	# on all "printf '%s\n' CLASSPATH+=$(printf :/usr/share/java/%s.jar netty-codec netty-resolver slf4j-log4j12 log4j-1.2) \
//	    SERVER_JVMFLAGS=-Dzookeeper.root.logger=INFO,ROLLINGFILE >>/etc/zookeeper/conf/environment"
//	# servers() { for n in node1 node2 node3; do \
//	    on $n "cd /etc/zookeeper/conf; cp /usr/local/share/doc/taskkeeper/zoo-tls.cfg zoo.cfg; $1" && \
//	    on $n '/usr/share/zookeeper/bin/zkServer.sh restart >/dev/null 2>&1' && \
//	    "${@:2}" bin/client status --zk $n:$port/team --wait 1m >/dev/null || break; \
//	  done; }
//	# port=2181 servers 'sed -i s/^sslQuorum=true/portUnification=true/ zoo.cfg; echo clientPort=2181 >>zoo.cfg'
//	# export ZK_SERVERS=node1:2281,node2:2281,node3:2281/team tls=tls
//	# on all "cd /etc/taskkeeper; printf '%s\n' ZK_SERVERS=$ZK_SERVERS '$args' ZK_TLS_CA=\$PWD/ca.pem \
//	    ZK_TLS_CERT=\$PWD/worker.pem ZK_TLS_KEY=\$PWD/worker.key >taskkeeper.env; \
//	    printf '%s\n' ZK_TLS_CERT=\$PWD/master.pem ZK_TLS_KEY=\$PWD/master.key >master.env"
//	# on all systemctl restart taskkeeper-master taskkeeper-worker@1
//
// The policy comes next. A program that has its certificate needs no restart. A client that is
// still on the plain port is refused then, and loses its attached tasks: let it end before. All
// clients may read the tasks that are there already. At last the plain port goes, and the
// servers speak TLS among themselves: in one round of restarts they learn to, in the next they
// demand it. A round may leave the servers without a quorum for some seconds; then everything
// waits:
//
//	# as() { ZK_TLS_CA=$tls/ca.pem ZK_TLS_CERT=$tls/$1.pem ZK_TLS_KEY=$tls/$1.key "${@:2}"; }
//	# for role in admin master worker client viewer; do echo $role x509:CN=tk-$role; done >policy
//	# as admin bin/client access close policy >/dev/null
//	# port=2281 servers 'echo portUnification=true >>zoo.cfg' as viewer
//	# port=2281 servers 'echo audit.enable=true >>zoo.cfg' as viewer
//	# seq 2 | as client bin/client run -- expr 6 '*'
//	6
//	12
//	# as viewer scripts/zookeeper status --zk $ZK_SERVERS
//	# as viewer scripts/zookeeper shell --zk $ZK_SERVERS ls /
//	[access, data, drain, master, members, tasks, workers]
//	# on all cat /var/log/zookeeper/zookeeper.log | grep -o 'user=.*CN=tk-client.*znode=/team/data.*' | tr '\t' ' ' | head -1
//	user=10.0.0.1,CN=tk-client ip=10.0.0.1 operation=create znode=/team/data/command.… znode_type=ephemeral result=success
//	# exit
//
// From now on access, drain, undrain, doctor --mend and the loop of an upgrade want "as admin"
// before bin/client, and status wants "as viewer".
package access
