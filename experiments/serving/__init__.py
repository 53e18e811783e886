"""A registered model as a web server on this machine: a page, a REST API and MLflow's scoring protocol."""
