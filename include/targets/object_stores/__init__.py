"""Object stores as targets use them: conditional creates in parts, with the credentials of a connection.

The store's own protocol is spoken here for creating only, because the client that reads, lists, deletes and signs
(obstore) can make a conditional create of one request that it holds in memory, but none in parts, and cannot find
uploads that a killed process left behind.
"""
