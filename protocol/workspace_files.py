"""Files of an app in a workspace, as the node tells and takes them."""
